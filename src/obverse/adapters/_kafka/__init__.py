"""What is written into a topic of the log in Kafka: for whoever reads there, be it the log itself or an engine."""
