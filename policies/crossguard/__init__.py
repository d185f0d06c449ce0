"""The rules of `guardrails` under Pulumi's policy engine (CrossGuard): the only code of the pack that knows Pulumi."""
