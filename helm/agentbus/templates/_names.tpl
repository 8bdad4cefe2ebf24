{{- define "agentbus.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end }}

{{/* The labels that select pods: (list $ component). They never change. */}}
{{- define "agentbus.selector" -}}
app.kubernetes.io/name: agentbus
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "agentbus.labels" -}}
{{ include "agentbus.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/part-of: agentbus
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- with (index . 0).Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The services that are enabled, as YAML: defaults and what differs, merged. A name that is no service is an error. */}}
{{- define "agentbus.services" -}}
{{- $all := dict -}}
{{- range $name, $own := .Values.services -}}
{{- if not (hasKey ($own | default dict) "uses") -}}
{{- $known := list -}}
{{- range $other, $value := $.Values.services -}}{{- if hasKey ($value | default dict) "uses" -}}{{- $known = append $known $other -}}{{- end -}}{{- end -}}
{{- fail (printf "services.%s: there is no such service, there are %s" $name (join ", " $known)) -}}
{{- end -}}
{{- $service := mergeOverwrite (deepCopy $.Values.defaults) (deepCopy ($own | default dict)) -}}
{{- if $service.enabled -}}{{- $_ := set $all $name $service -}}{{- end -}}
{{- end -}}
{{ toYaml $all }}
{{- end }}

{{- define "agentbus.image" -}}
{{- $v := (index . 0).Values.image -}}
{{ printf "%s/%s:%s" $v.registry (index . 1) ($v.tag | default (index . 0).Chart.AppVersion) }}
{{- end }}

{{- define "agentbus.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* GOMEMLIMIT in bytes: (list limit percent). The limit in Ki, Mi or Gi. */}}
{{- define "agentbus.goMemory" -}}
{{- $limit := toString (index . 0) -}}
{{- $number := regexFind "^[0-9]+" $limit | int64 -}}
{{- $units := dict "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "" 1 -}}
{{- $unit := regexReplaceAll "^[0-9]+" $limit "" -}}
{{- if not (hasKey $units $unit) -}}{{ fail (printf "resources.limits.memory %q: must be a whole number of Ki, Mi or Gi" $limit) }}{{- end -}}
{{ div (mul $number (get $units $unit) (index . 1)) 100 }}
{{- end }}

{{/* A generated secret's value, which an upgrade keeps: (list $ secret key). */}}
{{- define "agentbus.kept" -}}
{{- $kept := lookup "v1" "Secret" (index . 0).Release.Namespace (index . 1) -}}
{{- if and $kept (index $kept.data (index . 2)) -}}{{ index $kept.data (index . 2) | b64dec }}
{{- else -}}{{ randAlphaNum 32 }}{{- end -}}
{{- end }}

{{/* Name of the secret of a connection: (list $ store). */}}
{{- define "agentbus.secret" -}}
{{- $store := index (index . 0).Values (index . 1) -}}
{{- if $store.builtin.enabled -}}{{ include "agentbus.fullname" (index . 0) }}-{{ index . 1 }}
{{- else if $store.external.secret -}}{{ $store.external.secret }}
{{- else if ne (index . 1) "artifacts" -}}{{ fail (printf "%s.external.secret is not set: it names the secret with the URL where %s.builtin.enabled is false" (index . 1) (index . 1)) }}{{- end -}}
{{- end }}

{{/* The restricted Pod Security Standard, of a pod (argument: the user) and of a container. */}}
{{- define "agentbus.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "agentbus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What a service is scaled by, not empty where it is: (list $ service). */}}
{{- define "agentbus.scaledBy" -}}
{{- $ := index . 0 -}}{{- $a := (index . 1).autoscaling -}}
{{- if $.Values.autoscaling.enabled -}}
{{- $external := and $a.external.metric (or $.Values.autoscaling.externalMetrics (eq $.Values.autoscaling.kind "keda")) -}}
{{- if and $a.cpuPercent (not (and $external $a.external.replacesCPU)) }}cpu {{ end -}}
{{- if $external }}external{{ end -}}
{{- end -}}
{{- end }}

{{/* How fast a service is scaled, the same for both kinds of autoscaler: its values under autoscaling. */}}
{{- define "agentbus.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies: [{type: Pods, value: {{ .scaleUpPods }}, periodSeconds: 15}]
scaleDown:
  stabilizationWindowSeconds: {{ .scaleDownSeconds }}
  policies: [{type: Percent, value: 50, periodSeconds: 30}]
{{- end }}
