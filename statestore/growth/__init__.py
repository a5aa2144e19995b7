"""Growth: where the bytes are, and when the disk is full; from samples that housekeeping keeps.

sampling  walks the tables in slices and notes what it found
report    what the page and the call say, from the samples alone
forecast  a line through the samples
"""

from statestore.growth.forecast import Forecast
from statestore.growth.report import Measured, Report, report
from statestore.growth.sampling import sample

__all__ = ["Forecast", "Measured", "Report", "report", "sample"]
