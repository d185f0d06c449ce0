module slipway.tools/manifests

go 1.26.6

require (
	github.com/argoproj/argo-rollouts v1.9.1
	github.com/aws/amazon-vpc-resource-controller-k8s v1.8.2
	github.com/aws/karpenter-provider-aws v1.14.1
	github.com/cert-manager/cert-manager v1.21.1
	github.com/prometheus-operator/prometheus-operator v0.93.1
	sigs.k8s.io/external-dns v0.21.0
	sigs.k8s.io/gateway-api v1.6.3
	sigs.k8s.io/secrets-store-csi-driver v1.5.6
)
