"""`python -m multimodal`: the command."""

from multimodal.cli import main

main()
