"""What exists in the cloud: one file, one `Args`, one `ComponentResource`; typed handles flow between them."""
