"""GenTool: teach small language models to use tools they were not trained on."""

__version__ = "0.1.0"
