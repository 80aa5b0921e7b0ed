"""What tests and the example of Pipecat bots need beside this project: an environment in which pipecat-ai runs."""
