"""How weights move here: policy update, optimiser, packing, interrupt."""
