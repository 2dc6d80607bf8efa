"""How well a score agrees with what people think of texts: `chexphi rewards agree`."""
