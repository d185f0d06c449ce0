"""The stack file as typed, validated, frozen settings; the only reader of the configuration."""
