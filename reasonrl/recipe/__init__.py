"""What a run is: one YAML file as typed data. Nothing here imports torch."""
