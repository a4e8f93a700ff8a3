{{/* The namespace and name of everything that is in a namespace. There is one operator in a cluster, because its admission
policies are the cluster's: so names do not depend on the name of the release. */}}
{{- define "tap-operator.metadata" -}}
name: tap-operator
namespace: {{ .Release.Namespace }}
labels: {{- include "tap-operator.labels" . | nindent 2 }}
{{- end }}

{{/* The labels of the pods that selectors look for. */}}
{{- define "tap-operator.selector" -}}
app.kubernetes.io/name: tap-operator
{{- end }}

{{- define "tap-operator.labels" -}}
{{- include "tap-operator.labelsAnd" (dict "root" . "more" dict) }}
{{- end }}

{{/* The labels of an object that has more of them. Each is there once. */}}
{{- define "tap-operator.labelsAnd" -}}
{{- mergeOverwrite (dict) (.root.Values.extraLabels | default dict) (.more | default dict) (include "tap-operator.ownLabels" .root | fromYaml) | toYaml }}
{{- end }}

{{- define "tap-operator.ownLabels" -}}
{{ include "tap-operator.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "tap-operator.serviceAccount" -}}
{{ .Values.serviceAccount.name }}
{{- end }}

{{/* The objects of a file that the kustomizations use, too, as objects of this release: with its labels, its namespace and
its ServiceAccount, in the CEL expressions of the admission policies as well. */}}
{{- define "tap-operator.shipped" -}}
{{- $root := .root }}
{{- $account := include "tap-operator.serviceAccount" $root }}
{{- $labels := include "tap-operator.labels" $root | fromYaml }}
{{- $there := printf "'%s' + ':' + '%s'" $root.Release.Namespace $account }}
{{- range regexSplit "(?m)^---$" ($root.Files.Get .file) -1 }}
{{- $object := . | replace "'tap-operator-system' + ':' + 'tap-operator'" $there | fromYaml }}
{{- if not $object.kind }}{{ fail (printf "%s cannot be read: %v" $.file $object) }}{{ end }}
{{- $_ := set $object.metadata "labels" (mergeOverwrite (default (dict) $object.metadata.labels) $labels) }}
{{- if hasKey $object.metadata "namespace" }}
{{- $_ := set $object.metadata "namespace" $root.Release.Namespace }}
{{- end }}
{{- range $object.subjects }}
{{- $_ := set . "name" $account }}
{{- $_ := set . "namespace" $root.Release.Namespace }}
{{- end }}
---
{{ toYaml $object }}
{{ end }}
{{- end }}

{{/* Whether the API server stamps the requester into each request. */}}
{{- define "tap-operator.stamps" -}}
{{- if eq .Values.admission.stampRequester "auto" -}}
{{- .Capabilities.APIVersions.Has "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy" | ternary "true" "" -}}
{{- else -}}
{{- eq .Values.admission.stampRequester "always" | ternary "true" "" -}}
{{- end -}}
{{- end }}

{{/* Whether the operator signs in with a token of its ServiceAccount. */}}
{{- define "tap-operator.federated" -}}
{{- eq .Values.credential.type "workloadIdentity" | ternary "true" "" -}}
{{- end }}

{{/* Whether a connection signs in with a managed identity. */}}
{{- define "tap-operator.managedIdentity" -}}
{{- $uses := and (not .Values.tenants) (eq .Values.credential.type "managedIdentity") }}
{{- range .Values.tenants }}
{{- $uses = or $uses (hasKey .credential "managedIdentity") }}
{{- end }}
{{- $uses | ternary "true" "" -}}
{{- end }}

{{/* The environment of one tenant, without what is empty. */}}
{{- define "tap-operator.environment" -}}
{{- with .Values.tenant }}
{{- with .id }}
AZURE_TENANT_ID: {{ . | quote }}
{{- end }}
{{- with .clientId }}
AZURE_CLIENT_ID: {{ . | quote }}
{{- end }}
{{- if ne .cloud "global" }}
TAP_OPERATOR_CLOUD: {{ .cloud | quote }}
{{- end }}
{{- with .userName }}
TAP_OPERATOR_USER_NAME: {{ . | quote }}
{{- end }}
{{- with .userNamePrefix }}
TAP_OPERATOR_USER_NAME_PREFIX: {{ . | quote }}
{{- end }}
{{- with .loginUrl }}
AZURE_AUTHORITY_HOST: {{ . | quote }}
{{- end }}
{{- with .graphUrl }}
TAP_OPERATOR_GRAPH_URL: {{ . | quote }}
{{- end }}
{{- end }}
{{- $files := "/var/run/secrets/tap-operator" }}
{{- with .Values.credential }}
{{- if eq .type "clientSecret" }}
AZURE_CLIENT_SECRET_FILE: {{ printf "%s/%s" $files .clientSecretKey }}
{{- else if eq .type "clientCertificate" }}
AZURE_CLIENT_CERTIFICATE_PATH: {{ printf "%s/%s" $files .certificateKey }}
AZURE_CLIENT_CERTIFICATE_KEY_PATH: {{ printf "%s/%s" $files .privateKeyKey }}
{{- else if eq .type "managedIdentity" }}
TAP_OPERATOR_MANAGED_IDENTITY: "true"
{{- else if not $.Values.workloadIdentity.webhook }}
AZURE_FEDERATED_TOKEN_FILE: /var/run/secrets/azure/tokens/azure-identity-token
{{- end }}
{{- end }}
{{- end }}

{{/* What the schema cannot say. */}}
{{- define "tap-operator.validate" -}}
{{- $one := or .Values.tenant.id .Values.tenant.clientId }}
{{- if and .Values.tenants $one }}
{{- fail "set either tenant or tenants: a tenant of the list takes its id, app and credential from its entry" }}
{{- else if and (not .Values.tenants) (not (and .Values.tenant.id .Values.tenant.clientId)) }}
{{- fail "set tenant.id and tenant.clientId: the ids of the Entra tenant and of the app by which the operator signs in (docs/install.md); or tenants, for several" }}
{{- end }}
{{- if .Values.tenants }}
{{- $alone := pick .Values.tenant "userName" "userNamePrefix" "loginUrl" "graphUrl" }}
{{- range $name, $value := mergeOverwrite $alone (dict "cloud" (.Values.tenant.cloud | default "" | replace "global" "")) }}
{{- if $value }}
{{- fail (printf "leave out tenant.%s, which nothing reads beside tenants: say it in their entries (cloud, users, loginUrl and graphUrl of each)" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.tenants .Values.ceilings }}
{{- fail "set ceilings in the entries of tenants: those of the values are for one tenant" }}
{{- end }}
{{- range .Values.env }}
{{- if has .name (list "POD_NAME" "POD_NAMESPACE" "AZURE_TENANT_ID" "AZURE_CLIENT_ID" "AZURE_AUTHORITY_HOST") }}
{{- fail (printf "leave %s out of env: the chart sets this variable, of tenant.id, tenant.clientId and tenant.loginUrl" .name) }}
{{- end }}
{{- end }}
{{- $own := include "tap-operator.ownLabels" . | fromYaml | keys }}
{{- range $name, $labels := dict
  "extraLabels" .Values.extraLabels "podMonitor.labels" (.Values.podMonitor | default dict).labels
  "prometheusRule.labels" (.Values.prometheusRule | default dict).labels
  "dashboard.labels" (.Values.dashboard | default dict).labels
  "podLabels" (pick (.Values.podLabels | default dict) "app.kubernetes.io/name") }}
{{- range $label := keys ($labels | default dict) }}
{{- if has $label $own }}
{{- fail (printf "leave %s out of %s: the chart sets this label" $label $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.tenant.userNamePrefix (not .Values.tenant.userName) }}
{{- fail "tenant.userNamePrefix needs tenant.userName: userPrincipalName or objectId" }}
{{- end }}
{{- end }}
