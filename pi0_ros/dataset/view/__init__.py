"""Views of a dataset for people: report, plots, viewer."""
