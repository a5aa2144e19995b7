"""How much of a state is looked through for conversations, and how much of one a page reads."""

from typing import Final

# Values looked at in search of message lists, and how deep.
SEARCHED_VALUES: Final = 5_000
SEARCHED_DEPTH: Final = 8
# Of a long list, so many of its first and of its last values say whether it is one of messages.
PROBED_MESSAGES: Final = 3
PAGE_MESSAGES: Final = 50
# A page begins with the call of a result, if that is among so many messages before it.
RESULTS_BEFORE: Final = 50
# So many turns in a row that differ in their numbers alone are folded into one.
ALIKE_TURNS: Final = 3
# Messages whose roles and costs are counted, and which are searched.
COUNTED_MESSAGES: Final = 20_000
# Arguments that are sent as JSON in a text are read up to this size.
ARGUMENT_BYTES: Final = 64 * 1024
ARGUMENT_DEPTH: Final = 50
# Parts of one message, and blocks of one result, that are read.
PARTS: Final = 200
# Comparing two messages, in units of effort; and the share of their text at which one is an edit of the other.
PAIR_UNITS: Final = 100
EDIT_LIKENESS: Final = 0.5
