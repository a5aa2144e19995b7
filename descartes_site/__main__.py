"""`python -m descartes_site`: the command line, for the processes that `serve` starts."""

from descartes_site.command import main

main()
