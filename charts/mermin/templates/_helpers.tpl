{{/* Values that an older chart lacked are missing with --reuse-values: every look-up bears that. */}}

{{- define "mermin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "mermin.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "mermin.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mermin.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mermin.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mermin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Every key once: the selector's labels stay, then `more` wins over commonLabels, and both over the chart's. */}}
{{- define "mermin.labelsAnd" -}}
{{- $chart := dict "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/managed-by" .root.Release.Service
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml (merge (include "mermin.selectorLabels" .root | fromYaml) (.more | default dict) (.root.Values.commonLabels | default dict) $chart) }}
{{- end -}}

{{- define "mermin.labels" -}}
{{ include "mermin.labelsAnd" (dict "root" .) }}
{{- end -}}

{{- define "mermin.serviceAccountName" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- if ne (toString $account.create) "false" -}}
{{- default (include "mermin.fullname" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "mermin.image" -}}
{{- $image := .Values.image | default dict -}}
{{- $repository := $image.repository | default "ghcr.io/elastiflow/mermin" -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (toString ($image.tag | default .Chart.AppVersion)) -}}
{{- end -}}
{{- end -}}

{{- define "mermin.configFile" -}}
config.{{ (.Values.config | default dict).format | default "hcl" }}
{{- end -}}

{{- define "mermin.port" -}}
{{- $ports := .root.Values.ports | default dict -}}
{{- index $ports .name | default (index (dict "api" 8080 "metrics" 10250) .name) -}}
{{- end -}}

{{- define "mermin.graceSeconds" -}}
{{- .Values.terminationGracePeriodSeconds | default 40 -}}
{{- end -}}

{{- define "mermin.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "mermin.labels" .root | nindent 4 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
data:
  {{ include "mermin.configFile" .root }}: {{ required "config.content is empty; give it with --set-file config.content=FILE" (.root.Values.config | default dict).content | quote }}
{{- end -}}

{{/* What a configuration may ask for with env(); the agent refuses one with other ports, or that stops too slowly. */}}
{{- define "mermin.environment" -}}
env:
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  - name: NODE_NAME
    valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
  - name: POD_NAME
    valueFrom: { fieldRef: { fieldPath: metadata.name } }
  - name: POD_NAMESPACE
    valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
  - name: MERMIN_EXPECTED_API_PORT
    value: {{ include "mermin.port" (dict "root" .root "name" "api") | quote }}
  - name: MERMIN_EXPECTED_METRICS_PORT
    value: {{ include "mermin.port" (dict "root" .root "name" "metrics") | quote }}
  - name: MERMIN_EXPECTED_HOST_NETWORK
    value: {{ eq (toString .root.Values.hostNetwork) "true" | quote }}
  - name: MERMIN_EXPECTED_GRACE_SECONDS
    value: {{ include "mermin.graceSeconds" .root | quote }}
  {{- with .root.Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where pods may run, before which others, and with which images. */}}
{{- define "mermin.scheduling" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- range $name := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" }}
{{- with index $.Values $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of a pod beside the agents: theirs, but for the name, so that `kubectl get pods -l …name=mermin` shows one pod a node. */}}
{{- define "mermin.hookLabels" -}}
{{- $labels := include "mermin.labelsAnd" (dict "root" .root "more" .root.Values.podLabels) | fromYaml -}}
{{- toYaml (set $labels "app.kubernetes.io/name" (include "mermin.hookName" .)) -}}
{{- end -}}

{{- define "mermin.hookName" -}}
{{- printf "%s-%s" (include "mermin.name" .root | trunc 54 | trimSuffix "-") .suffix -}}
{{- end -}}

{{/* Of a container beside the agents: it needs no rights on the node. */}}
{{- define "mermin.hookContainer" -}}
image: {{ include "mermin.image" . }}
imagePullPolicy: {{ (.Values.image | default dict).pullPolicy | default "IfNotPresent" }}
resources:
  {{- $usual := dict "requests" (dict "cpu" "50m" "memory" "128Mi") "limits" (dict "cpu" "1" "memory" "256Mi") }}
  {{- toYaml ((.Values.hooks | default dict).resources | default $usual) | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}
