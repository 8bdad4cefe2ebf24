{{/* A store of one pod, for trying out. (list $ name user port container), the container as YAML without what
     all have in common. Its data is on a volume that uninstall keeps, where the cluster can make one. */}}
{{- define "agentbus.store" -}}
{{- $ := index . 0 -}}{{- $name := index . 1 -}}{{- $v := (index $.Values $name).builtin -}}
{{- $full := printf "%s-%s" (include "agentbus.fullname" $) $name -}}
{{- $claim := eq (toString $v.persistence.enabled) "true" -}}
{{- if eq (toString $v.persistence.enabled) "auto" -}}
{{- $claim = or (lookup "storage.k8s.io/v1" "StorageClass" "" "").items (lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $full) -}}
{{- end -}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $full }}
  labels: {{- include "agentbus.labels" (list $ $name) | nindent 4 }}
spec:
  selector: {{- include "agentbus.selector" (list $ $name) | nindent 4 }}
  ports: [{name: {{ $name }}, port: {{ index . 3 }}, targetPort: {{ $name }}}]
{{- if $claim }}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ $full }}
  labels: {{- include "agentbus.labels" (list $ $name) | nindent 4 }}
  annotations: {helm.sh/resource-policy: keep}
spec:
  accessModes: [ReadWriteOnce]
  {{- with $v.persistence.storageClass }}
  storageClassName: {{ . }}
  {{- end }}
  resources: {requests: {storage: {{ $v.persistence.size }}}}
{{- end }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $full }}
  labels: {{- include "agentbus.labels" (list $ $name) | nindent 4 }}
spec:
  replicas: 1
  strategy: {type: Recreate} # two must never write to one volume
  selector:
    matchLabels: {{- include "agentbus.selector" (list $ $name) | nindent 6 }}
  template:
    metadata:
      labels: {{- include "agentbus.labels" (list $ $name) | nindent 8 }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext: {{- include "agentbus.podSecurity" (index . 2) | nindent 8 }}
      {{- include "agentbus.pullSecrets" $ | nindent 6 }}
      containers:
        - name: {{ $name }}
          image: {{ $v.image }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          securityContext: {{- include "agentbus.containerSecurity" $ | nindent 12 }}
          ports: [{name: {{ $name }}, containerPort: {{ index . 3 }}}]
          resources: {{- toYaml $v.resources | nindent 12 }}
          volumeMounts:
            - {name: data, mountPath: /data}
            - {name: secret, mountPath: /etc/agentbus, readOnly: true}
            - {name: run, mountPath: {{ ternary "/var/run/postgresql" "/run/agentbus" (eq $name "postgresql") }}}
            - {name: run, mountPath: /tmp}
          {{- index . 4 | nindent 10 }}
      volumes:
        - name: data
          {{- if $claim }}
          persistentVolumeClaim: {claimName: {{ $full }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
        - name: secret
          secret: {secretName: {{ $full }}, defaultMode: 0440}
        - name: run
          emptyDir: {}
{{- end }}
