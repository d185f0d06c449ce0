"""The one door of retraining: every reason to train a model again is recorded; what is due is decided from records.

AWS Lambda calls `retraining.handler.lambda_handler`; `retraining.handler.deliver` runs the same code in process.
"""
