class ComparisonView:
    def __init__(self, before, after):
        self.is_same = before == after
        self.changes = []
        self.hunks = []
        self.why_text = "stub"
        self.added = self.removed = self.replaced = self.moved = self.total = 0
