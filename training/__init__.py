"""PS3 in torch: the model, its data, its losses and the loop that trains it."""
