"""The policy rules of Slipway: what a stack must not contain, judged on plain data.

Nothing here knows Pulumi. `crossguard` adapts the rules to Pulumi's policy engine; `guardrails.evaluation` runs them
on anything that can be described as `guardrails.resources.Resource`.
"""
