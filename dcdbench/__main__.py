"""`python -m dcdbench`."""

from dcdbench.cli import main

if __name__ == "__main__":
    main()
