"""What the user engine costs: ratios to native runs, measured side by side. Run by `make bench`."""
