"""`python -m dubline`."""

from dubline.cli import main

main()
