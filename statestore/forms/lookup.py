"""The search box of every page."""

from django import forms

from statestore.db.ids import RowId, from_address
from statestore.lookup import limits as lookup_limits


class FindForm(forms.Form):
    """What is looked for, and the agent whose page it is asked on."""

    q = forms.CharField(required=False, max_length=lookup_limits.TEXT_CHARACTERS, strip=True, label="Search")
    agent = forms.CharField(required=False)

    def clean_agent(self) -> RowId | None:
        """Return the agent's id, None for what is no address: its actions are then not offered."""
        try:
            return from_address(self.cleaned_data["agent"]) if self.cleaned_data["agent"] else None
        except ValueError:
            return None
