"""What a dataset holds, for people: report, figures, viewer."""
