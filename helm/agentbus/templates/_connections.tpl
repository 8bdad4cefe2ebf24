{{/* Variables of what a service uses: (list $ name service). Secrets are files, never values. */}}
{{- define "agentbus.env" -}}
{{- $ := index . 0 -}}{{- $name := index . 1 -}}{{- $service := index . 2 -}}
{{- $full := include "agentbus.fullname" $ -}}
{{- $env := dict "OPS_ADDR" ":9080" "SHUTDOWN_GRACE" (printf "%ds" (int $service.shutdownGraceSeconds))
      "GOMEMLIMIT" (include "agentbus.goMemory" (list $service.resources.limits.memory $service.goMemoryPercent)) -}}
{{- if has "redis" $service.uses -}}
{{- $_ := set $env "REDIS_URL_FILE" "/etc/agentbus/redis/url" -}}
{{- $_ := set $env "BUS_PREFIX" $.Values.bus.prefix -}}
{{- $_ := set $env "BUS_PARTITIONS" (toString $.Values.bus.partitions) -}}
{{- $_ := set $env "BUS_DURABILITY" $.Values.bus.durability -}}
{{- $_ := set $env "BUS_EVENTS_PER_ENTRY" (toString $.Values.bus.eventsPerEntry) -}}
{{- $_ := set $env "BUS_RETENTION" $.Values.bus.retention -}}
{{- $_ := set $env "BUS_REQUIRE_DURABLE" (toString $.Values.bus.requireDurable) -}}
{{- end -}}
{{- if has "postgresql" $service.uses -}}{{- $_ := set $env "DATABASE_URL_FILE" "/etc/agentbus/postgresql/url" -}}{{- end -}}
{{- if has "artifacts" $service.uses -}}
{{- $_ := set $env "ARTIFACT_URL" (include "agentbus.artifactURL" $) -}}
{{- if include "agentbus.secret" (list $ "artifacts") -}}{{- $_ := set $env "AWS_SHARED_CREDENTIALS_FILE" "/etc/agentbus/artifacts/credentials" -}}{{- end -}}
{{- end -}}
{{- if $service.http -}}
{{- $jwt := $.Values.access.jwt -}}
{{- $_ := set $env "HTTP_ADDR" (printf ":%d" (int $service.http)) -}}
{{- $_ := set $env "ALLOWED_HOSTS" (include "agentbus.allowedHosts" (list $ $name $service)) -}}
{{- $_ := set $env "AUTH_TOKENS_FILE" "/etc/agentbus/access/tokens" -}}
{{- if $jwt.jwks -}}
{{- $_ := set $env "AUTH_JWKS" $jwt.jwks -}}
{{- $_ := set $env "AUTH_JWT_ISSUER" $jwt.issuer -}}
{{- $_ := set $env "AUTH_JWT_AUDIENCE" $jwt.audience -}}
{{- $_ := set $env "AUTH_JWT_TENANT_CLAIM" $jwt.tenantClaim -}}
{{- $_ := set $env "AUTH_JWT_OPERATOR_SCOPE" $jwt.operatorScope -}}
{{- end -}}
{{- end -}}
{{- if eq $name "websocket-manager" -}}
{{- $_ := set $env "COORDINATOR_URL" (printf "http://%s-coordinator-agent:%d" $full (int (index $.Values.services "coordinator-agent").http)) -}}
{{- with $.Values.access.trustedProxies -}}{{- $_ := set $env "TRUSTED_PROXIES" (join "," .) -}}{{- end -}}
{{- end -}}
{{- if and (eq $name "db-writer") (not $.Values.postgresql.builtin.enabled) -}}{{- $_ := set $env "DB_MIGRATE" "never" -}}{{- end -}}
{{- if $service.scratch.enabled -}}
{{- $_ := set $env "WORKSPACE_DIR" "/scratch/work" -}}
{{- $_ := set $env "HOME" "/scratch/home" -}}
{{- $_ := set $env "TMPDIR" "/scratch" -}}
{{- $_ := set $env "GOCACHE" "/scratch/go-build" -}}
{{- $_ := set $env "GOPATH" "/scratch/go" -}}
{{- end -}}
{{- if eq $name "deployment-agent" -}}{{- $_ := set $env "DEPLOY_DIR" "/scratch/deploy" -}}{{- end -}}
{{- range $key, $value := mergeOverwrite $env ($service.env | default dict) }}
- {name: {{ $key }}, value: {{ toString $value | quote }}}
{{- end }}
{{- end }}

{{- define "agentbus.allowedHosts" -}}
{{- $ := index . 0 -}}{{- $port := int (index . 2).http -}}
{{- $service := printf "%s-%s" (include "agentbus.fullname" $) (index . 1) -}}
{{- $hosts := list -}}
{{- range $host := list $service (printf "%s.%s" $service $.Release.Namespace) (printf "%s.%s.svc" $service $.Release.Namespace) (printf "%s.%s.svc.cluster.local" $service $.Release.Namespace) "localhost" "127.0.0.1" -}}
{{- $hosts = append $hosts (printf "%s:%d" $host $port) -}}
{{- end -}}
{{- if $.Values.ingress.enabled -}}{{- $hosts = append $hosts $.Values.ingress.host -}}{{- end -}}
{{ join "," (concat $hosts $.Values.access.allowedHosts) }}
{{- end }}

{{- define "agentbus.artifactURL" -}}
{{- if .Values.artifacts.builtin.enabled -}}
s3://agentbus?endpoint=http://{{ include "agentbus.fullname" . }}-artifacts:9000&region=us-east-1&use_path_style=true&request_checksum_calculation=when_required&response_checksum_validation=when_required
{{- else -}}{{ required "artifacts.external.url is not set: it names the bucket where artifacts.builtin.enabled is false" .Values.artifacts.external.url }}{{- end -}}
{{- end }}

{{/* Where these secrets are mounted: (list $ name service). */}}
{{- define "agentbus.mounts" -}}
{{- $ := index . 0 -}}{{- $service := index . 2 -}}
{{- range $service.uses }}
{{- if include "agentbus.secret" (list $ .) }}
- {name: {{ . }}, mountPath: /etc/agentbus/{{ . }}, readOnly: true}
{{- end }}
{{- with (index $.Values .).external.caSecret }}
- {name: {{ printf "%s-ca" . | trunc 63 }}, mountPath: /etc/ssl/certs/{{ . }}.crt, subPath: ca.crt, readOnly: true}
{{- end }}
{{- end }}
{{- if $service.http }}
- {name: access, mountPath: /etc/agentbus/access, readOnly: true}
{{- end }}
{{- if $service.scratch.enabled }}
- {name: scratch, mountPath: /scratch}
- {name: scratch, mountPath: /tmp, subPath: tmp}
{{- end }}
{{- end }}

{{- define "agentbus.volumes" -}}
{{- $ := index . 0 -}}{{- $name := index . 1 -}}{{- $service := index . 2 -}}
{{- range $store := $service.uses }}
{{- $v := index $.Values $store }}
{{- $key := "url" }}
{{- if not $v.builtin.enabled }}{{ $key = ternary $name ($v.external.key | default "credentials") (default false $v.external.keyPerService) }}{{ end }}
{{- if eq $store "artifacts" }}{{ $key = "credentials" }}{{ end }}
{{- with include "agentbus.secret" (list $ $store) }}
- name: {{ $store }}
  secret: {secretName: {{ . }}, defaultMode: 0440, items: [{key: {{ $key }}, path: {{ ternary "credentials" "url" (eq $store "artifacts") }}}]}
{{- end }}
{{- with $v.external.caSecret }}
- name: {{ printf "%s-ca" . | trunc 63 }}
  secret: {secretName: {{ . }}, defaultMode: 0444, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}
{{- if $service.http }}
- name: access
  secret: {secretName: {{ $.Values.access.tokensSecret | default (printf "%s-access" (include "agentbus.fullname" $)) }}, defaultMode: 0440, items: [{key: tokens, path: tokens}]}
{{- end }}
{{- if $service.scratch.enabled }}
- name: scratch
  emptyDir: {sizeLimit: {{ $service.scratch.sizeLimit }}}
{{- end }}
{{- end }}
