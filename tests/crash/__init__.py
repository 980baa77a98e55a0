"""What is left after kills, full disks, lost folders and lost programs. The long ones: pytest tests/crash -m crash."""
