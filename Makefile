# The one door. Needs make, Python 3.11 or newer and a package index; `make doctor` says what else would help.

PYTHON ?= python3
OUT ?= plan.json
STACKS := $(sort $(patsubst Pulumi.%.yaml,%,$(wildcard Pulumi.*.yaml)))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help up down status preview plan policy report cost capacity chain destroy orphans promote retrain redrive transform rollback release experiment subject rollout loop serve test test-unit test-kube \
	test-sdk check bench latency reliability soak lock doctor fmt schema docs spelling clean

RUN := $(PYTHON) -m tools.bootstrap
LOCAL := $(RUN) --group local --group image --cli --
DEV := $(RUN) --group dev --

# $(call timed,what it does,command): says both and how long it took, and keeps the exit code.
define timed
@printf '==> %s\n' '$(1)'; started=$$(date +%s); code=0; $(2) || code=$$?; \
printf '<== %s: %s, %s s\n' '$(1)' "$$([ $$code -eq 0 ] && echo done || echo "failed with exit code $$code")" \
"$$(($$(date +%s) - started))"; exit $$code
endef

# Expands to nothing when STACK names exactly one environment that has a file, and ends make with a message otherwise.
need_stack = $(if $(filter 1,$(words $(STACK))),$(if $(filter $(STACK),$(STACKS)),,$(call no_stack)),$(call no_stack))
no_stack = $(error STACK='$(STACK)' names no environment. There are: $(or $(STACKS),none). Write for example: \
make $@ STACK=$(or $(lastword $(filter-out local,$(STACKS))),dev))

help: ## List these targets
	@printf 'make TARGET [STACK=%s] [OUT=plan.json] [PYTHON=python3]\n\n' '$(subst $(eval) ,|,$(STACKS))'
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)$$/  \1	\2/p' $(MAKEFILE_LIST) | expand -t 15

up: export UP_MONTHS = $(MONTHS)
up: export UP_POISON = $(POISON)
up: ## Set up what is missing, then bring environment `local` up: deploy, train, serve, ask; MONTHS=1,2 POISON=labels|schema|half
	$(call timed,up local,$(LOCAL) sandbox up --months "$$UP_MONTHS" --poison "$$UP_POISON")

down: ## Remove all of environment `local`
	$(call timed,down local,$(LOCAL) sandbox down)

status: ## Say what of environment `local` is running
	$(call timed,status of local,$(LOCAL) sandbox status)

preview: ## Plan of an environment on the sandbox, judged by the policies; needs STACK, no credentials
	$(need_stack)$(call timed,preview $(STACK),$(LOCAL) sandbox preview --stack $(STACK))

plan: export PLAN_OUT = $(OUT)
plan: ## Deployment of an environment from a throw-away sandbox, as `pulumi stack export` writes it; needs STACK, OUT
	$(need_stack)$(call timed,plan $(STACK),$(LOCAL) sandbox plan --stack $(STACK) --out "$$PLAN_OUT")

chain: ## Longest chain of bringing an environment up from nothing; needs STACK, optionally SCALE=0.02 to measure it
	$(need_stack)$(call timed,chain $(STACK),$(LOCAL) sandbox chain --stack $(STACK) --scale $(or $(SCALE),0))

destroy: ## Remove an environment from AWS in order, with Pulumi's own CLI and your credentials; needs STACK
	$(need_stack)@pulumi destroy --run-program --stack $(STACK)

orphans: ## List what still carries the cluster's tag in AWS after a destroy; needs STACK, credentials
	$(need_stack)$(call timed,orphans of $(STACK),$(LOCAL) operations.orphans --stack $(STACK))

retrain: export RETRAINED_MODEL = $(MODEL)
retrain: export RETRAIN_REASON = $(REASON)
retrain: ## Ask for a training; needs MODEL, REASON; STACK=local without it, else credentials; IMAGE=sha256:… to train with another
	$(if $(and $(MODEL),$(REASON)),,$(error Write for example: make retrain MODEL=flight-delay REASON='a new feature'))$(if \
	$(filter-out local,$(STACK)),$(need_stack)$(call timed,retrain $(MODEL) in $(STACK),$(RUN) --group local -- operations.retrain \
	--stack $(STACK) --model "$$RETRAINED_MODEL" --reason "$$RETRAIN_REASON" --image '$(IMAGE)'),$(call timed,retrain \
	$(MODEL),$(LOCAL) sandbox retrain --model "$$RETRAINED_MODEL" --reason "$$RETRAIN_REASON"))

redrive: ## Bring dead events of retraining back to its door; needs STACK, credentials; docs/retraining.md says when
	$(need_stack)$(call timed,redrive $(STACK),$(RUN) --group local -- operations.retrain --stack $(STACK) --redrive)

transform: export TRANSFORM_MODEL = $(MODEL)
transform: export TRANSFORM_IN = $(IN)
transform: export TRANSFORM_OUT = $(if $(filter file,$(origin OUT)),,$(OUT))
transform: ## Answer many rows by a batch transform; needs MODEL; OUT=<folder>, IN=<file>; with STACK=, IN=s3://… and credentials
	$(if $(MODEL),,$(error Write for example: make transform MODEL=flight-delay OUT=answers))$(if \
	$(filter-out local,$(STACK)),$(need_stack)$(call timed,transform by $(MODEL) in $(STACK),$(RUN) --group local -- operations.transform \
	--stack $(STACK) --model "$$TRANSFORM_MODEL" --in "$$TRANSFORM_IN" --out "$$TRANSFORM_OUT"),$(call timed,transform by \
	$(MODEL),$(LOCAL) sandbox transform --model "$$TRANSFORM_MODEL" --in "$$TRANSFORM_IN" --out "$$TRANSFORM_OUT"))

promote: export PROMOTED_MODEL = $(MODEL)
promote: export PROMOTED_UNSOAKED = $(UNSOAKED)
promote: ## Register an approved version of one environment in the next; needs MODEL, FROM, TO, credentials; VERSION=n UNSOAKED='why'
	$(if $(and $(MODEL),$(FROM),$(TO)),,$(error Write for example: make promote MODEL=flight-delay FROM=staging TO=prod))$(call \
	timed,promote $(MODEL) from $(FROM) to $(TO),$(RUN) --group local --crane -- operations.promote --model "$$PROMOTED_MODEL" \
	--from '$(FROM)' --to '$(TO)' $(if $(VERSION),--version '$(VERSION)') --unsoaked "$$PROMOTED_UNSOAKED")

rollback: export ROLLBACK_MODEL = $(MODEL)
rollback: ## Give a model's pods the version that served before; needs MODEL, STACK, credentials; JUDGED=1 only if truth says so
	$(need_stack)$(if $(MODEL),,$(error Write for example: make rollback MODEL=flight-delay STACK=prod))$(call \
	timed,rollback of $(MODEL),$(LOCAL) operations.rollback --model "$$ROLLBACK_MODEL" --stack $(STACK)$(if $(JUDGED), --judged))

release: export RELEASE_MODEL = $(MODEL)
release: export RELEASE_PROMETHEUS = $(PROMETHEUS)
release: ## Give a model's pods a version; needs MODEL, VERSION, STACK, credentials; AGAIN=1 after it was taken back; PROMETHEUS=url
	$(need_stack)$(if $(and $(MODEL),$(VERSION)),,$(error Write for example: make release MODEL=flight-delay VERSION=7 STACK=prod))$(call \
	timed,release of $(MODEL),$(LOCAL) operations.release --model "$$RELEASE_MODEL" --stack $(STACK) --version '$(VERSION)' \
	--prometheus "$$RELEASE_PROMETHEUS"$(if $(AGAIN), --again))

experiment: export EXPERIMENT_MODEL = $(MODEL)
experiment: export EXPERIMENT_PROMETHEUS = $(PROMETHEUS)
experiment: ## What an A/B test found; needs MODEL, PERCENT, PROMETHEUS=url, STACK, credentials; ABOVE=0.5 SLOWER=0.1
	$(need_stack)$(if $(and $(MODEL),$(PERCENT),$(PROMETHEUS)),,$(error Write for example: make experiment MODEL=flight-delay \
	STACK=prod PERCENT=30 PROMETHEUS=http://127.0.0.1:9090))$(call timed,A/B test of $(MODEL),$(LOCAL) operations.experiment \
	--model "$$EXPERIMENT_MODEL" --stack $(STACK) --percent '$(PERCENT)' --prometheus "$$EXPERIMENT_PROMETHEUS" \
	--above '$(ABOVE)' --slower-than '$(SLOWER)')

subject: export SUBJECT_KEY = $(SUBJECT)
subject: export SUBJECT_COLUMN = $(COLUMN)
subject: export SUBJECT_OUT = $(if $(filter file,$(origin OUT)),,$(OUT))
subject: ## What is known about a person; needs ACTION=export|erase|verify|policy, STACK, credentials; SUBJECT COLUMN MODEL OUT CONFIRM
	$(need_stack)$(call timed,subject $(ACTION),$(LOCAL) operations.subject --action '$(ACTION)' --stack $(STACK) \
	--subject "$$SUBJECT_KEY" --column "$$SUBJECT_COLUMN" --model '$(MODEL)' --out "$$SUBJECT_OUT" --confirm '$(CONFIRM)')

cost: export COST_PLAN = $(PLAN)
cost: export COST_BASE = $(BASE)
cost: export COST_OUT = $(if $(filter file,$(origin OUT)),,$(OUT))
cost: ## What an environment costs a month; needs STACK; optionally PLAN, BASE=<earlier estimate or plan>, OUT=<JSON>
	$(need_stack)$(call timed,cost $(STACK),$(LOCAL) sandbox cost --stack $(STACK) --plan "$$COST_PLAN" --base "$$COST_BASE" --out "$$COST_OUT")

capacity: ## Pods and nodes that each model's target load needs, what the nodes cost a month, how long a burst waits; needs STACK
	$(need_stack)$(call timed,capacity of $(STACK),$(RUN) --group local -- sandbox.capacity Pulumi.$(STACK).yaml)

policy: export POLICY_OUT = $(OUT)
policy: export POLICY_CHARTS = $(CHARTS)
policy: ## Judge the program with all policies and known values, every environment or STACK; OUT: reports, CHARTS: charts at hand
	$(if $(STACK),$(need_stack))$(call timed,policy $(or $(STACK),of every environment),$(RUN) --group local -- sandbox policy \
	$(if $(STACK),--stack $(STACK)) $(if $(filter file,$(origin OUT)),,--out "$$POLICY_OUT") $(if $(CHARTS),--charts "$$POLICY_CHARTS"))

report: export REPORT_FOLDER = $(OUT)
report: ## Make the pull-request comment and SARIF from the files in folder OUT (what goes in: tools/reports.py); needs OUT
	$(if $(filter file,$(origin OUT)),$(error OUT names no folder. Write for example: make policy report OUT=reports))$(call \
	timed,report,$(PYTHON) -m tools.comment "$$REPORT_FOLDER")

rollout: ## Replace the model of `local` under load; STRATEGY=rolling|canary|blue-green|a-b|shadow FAULT=slow|crashing|failing|wrong|mixed|unready
	$(call timed,rollout,$(LOCAL) sandbox rollout --strategy '$(or $(STRATEGY),canary)' --fault '$(FAULT)')

loop: ## Play twelve months of flights through the whole loop of `local`: train, judge, roll out, watch; MONTHS=1,4,7
	$(call timed,loop,$(LOCAL) sandbox loop --months '$(MONTHS)')

serve: export SERVE_MODEL = $(MODEL)
serve: ## Serve any XGBoost model file, or a model directory, in the foreground; needs MODEL; PORT, CPU=<core> or any
	$(if $(MODEL),,$(error MODEL names no file. Write for example: make serve MODEL=model.ubj PORT=8080))@OMP_WAIT_POLICY=PASSIVE $(RUN) --group image -- scoring serve --model "$$SERVE_MODEL" --port $(or $(PORT),8080) $(if $(CPU),--cpu $(CPU))

test: ## All tests: unit, program, engine, loop
	$(call timed,test,$(RUN) --group dev --group image --cli -- tools.suite test)

test-unit: ## Unit and program tests only; no Pulumi CLI needed
	$(call timed,test-unit,$(RUN) --group dev --group image -- tools.suite test unit program)

test-kube: ## Tests against a Kubernetes control plane and an image registry on loopback; needs Go, builds them once
	$(call timed,test-kube,$(RUN) --group dev --kube -- tools.suite kube)

test-sdk: ## The pipelines made again by SageMaker's own SDK, in an environment of its own, and compared
	$(call timed,test-sdk,$(RUN) --group sdk -- tools.suite sdk)

bench: ## The model server beside its peers on one model; PEERS=a,b POINTS=csv-1:c64 ROUNDS=5 SECONDS=1.5 OUT=docs/benchmarks.md
	$(call timed,bench,$(RUN) --group image -- bench --peers '$(PEERS)' --points '$(POINTS)' $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(SECONDS),--seconds $(SECONDS)) $(if $(filter file,$(origin OUT)),,--out '$(OUT)'))

latency: export LATENCY_ROWS = $(ROWS)
latency: export LATENCY_DROP = $(DROP)
latency: ## Latency of a running server for one row; needs PORT, ROWS=<CSV file>; DROP=label RATES=200,1000 SHARE=0.7 SECONDS=20 BOUND_MS=100
	$(if $(PORT),,$(error name a port of loopback: make latency PORT=8080 ROWS=july.csv DROP=late))
	$(if $(ROWS),,$(error name a CSV file: make latency PORT=8080 ROWS=july.csv DROP=late))
	$(call timed,latency,$(RUN) --group image -- bench.latency --port '$(PORT)' --rows "$$LATENCY_ROWS" --drop "$$LATENCY_DROP" \
	$(if $(RATES),--rates '$(RATES)') $(if $(SHARE),--share '$(SHARE)') $(if $(SECONDS),--seconds '$(SECONDS)') $(if $(BOUND_MS),--bound-ms '$(BOUND_MS)'))

reliability: ## Figures of reliability with their denominators; FULL=1: at the size of the targets; ONLY=12,13 SIZE=n SEED=n; MINUTES=n: of figure 19
	$(call timed,reliability,$(RUN) --group dev --group image -- tests.reliability $(if $(FULL),--full) --only '$(ONLY)' \
	$(if $(SIZE),--size $(SIZE)) $(if $(MINUTES),--minutes '$(MINUTES)') --seed $(or $(SEED),1))

soak: ## MINUTES=30, half each: memory of the model server under load, faults of the whole loop; OF=memory or OF=loop: one of them
	$(call timed,soak,$(RUN) --group dev --group image -- tests.reliability --soak-minutes $(or $(MINUTES),30) \
	$(if $(OF),--soak-of '$(OF)') --seed $(or $(SEED),1))

check: ## Format, lint, types, import contracts, schemas, policy documents, locks
	$(call timed,check,$(DEV) tools.suite check)

lock: ## Resolve requirements/*.in into hash-pinned locks; UPGRADE=1 takes newer versions
	$(call timed,lock,$(PYTHON) -m tools.locks $(if $(UPGRADE),--upgrade))

doctor: ## Report every prerequisite, its version and the remedy
	@$(PYTHON) -m tools.doctor

fmt: ## Format the code and fix what the linter can fix
	$(call timed,fmt,$(DEV) ruff format . && $(DEV) ruff check --fix .)

schema: ## Write the JSON schema of the stack files, for editors
	$(call timed,schema,$(DEV) settings.schema)

docs: ## Write what is made from the policies: docs/policies.md, docs/controls.md, policies/config.schema.json
	$(call timed,docs,$(DEV) guardrails.docs)

spelling: ## Write how SageMaker's own SDK spells the words of a pipeline, which the unit tests read
	$(call timed,spelling,$(RUN) --group sdk -- tests.sdk.spelling)

clean: ## Remove tool caches and environments of older locks; ALL=1: all of set-up as well; never state
	$(call timed,clean,$(PYTHON) -m tools.clean $(if $(ALL),--all))
