"""Streams that outlive the connection of their caller, who may go on where they were."""
