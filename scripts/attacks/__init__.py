"""The attack laboratory: what outsiders try, against a gateway made by the package's public assembly.

Nothing here imports the rules of masking, the parser or the audit of the package: a judge shares no
code and no table with what it judges.
"""
