"""``gentool-nano``: a small language model that reads tools in its context, pretrained from nothing by this recipe."""
