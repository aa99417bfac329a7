"""Tables with strings, categories and missing values, and the numbers made of them."""
