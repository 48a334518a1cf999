"""The dashboard: its pages, its sessions, and its way to the services."""
