"""Pages that Flask serves beside the contract."""
