"""Rollouts in environment `local`: server processes behind Envoy, judged and moved by the logic of `rollout`."""
