"""The demo: six weeks of a real shop, played through the front door."""
