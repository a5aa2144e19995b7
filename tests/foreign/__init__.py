"""The orchestrator's stand-in: another program's hands on the same file. Imports nothing of ours.

`schema` makes its files, `orchestrator` saves into them with its statements, `writer` does so from a second process,
`population` fills a file with a realistic fleet, `hostile` with everything that a prompt-injected agent could write.
"""
