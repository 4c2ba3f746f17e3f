"""What the drivers of a robot show on the graph, whoever moves the joints behind them."""
