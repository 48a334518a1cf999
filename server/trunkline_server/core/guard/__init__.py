"""What is found in texts and taken out of them: personal data, secrets, harm; in whole texts and in those that grow."""
