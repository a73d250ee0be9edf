"""What everything of ours in Kafka needs: the log itself, and the topics by which engines are told and tell."""
