namespace CiSteps.Pipeline.Tests;

internal static class Sample
{
    /// <summary>A file with every key.</summary>
    public const string Full = """
        registry: { push: localhost:5000, pull: registry.internal:5000/mirror, branch-prefix: ci, plain-http: true }
        branches: { target: main, private: ci/* }
        components:
          - name: greeter
            paths: [greeter/**, "!greeter/docs/**"]
            owners: [greeters]
            major: 2
            depends-on: [wording]
            unit-tests:
              - name: unit
                run: sh greeter/tests/unit.sh
                image: ${registry}/base:1
                folder: greeter
                env: { A: b, N: 1, BASE: "${pull-registry}/base" }
                reports: ["greeter/build/*.xml"]
                format: junit
                time-limit: 5m
                silence-limit: 1m
                retry: { attempts: 3, most-tests: 5, framework: dotnet, filter: [--filter, "{tests}"] }
                quarantine: [{ test: Greets, owner: greeters, until: 2026-12-31 }]
            pre-build: { run: [sh, greeter/prebuild.sh], env: { X: y } }
            image: { dockerfile: greeter/Dockerfile, context: greeter, target: final, args: { BASE: "${registry}/base:1" },
              platform: linux/amd64, builder: buildx }
            workload: { manifests: [greeter/k8s], kind: StatefulSet, name: greeter-web, container: web, time-limit: 2m }
          - name: wording
            paths: [wording/**]
        integration:
          - name: smoke
            components: [greeter]
            class: small
            namespace: smoke-ns
            manifests: [integration/k8s]
            dependents:
              - { name: quotes, image: "${registry}/quotes", major: 7, bootstrap: "${registry}/quotes@sha256:1",
                  workload: { manifests: [quotes.yaml] } }
            tests: { job: integration/job.yaml, format: tap }
            time-limit: 6m
          - name: command
            class: big
            tests: { run: [go, test], image: go:1, folder: it, env: { Q: r }, reports: [it/*.xml], format: go-json }
        production:
          freezes: [{ name: year-end, from: "2026-12-20T18:00", until: "2027-01-03T08:00", zone: Europe/Berlin }]
          waves:
            - name: all
              soak: 10s
              targets:
                - name: eu
                  kubeconfig: CISTEPS_PRODUCTION_KUBECONFIG
                  namespace: shop
                  components: [greeter]
                  gate: { http: "service://greeter:80/healthz", for: 5s, time-limit: 1m, status: 204,
                    headers: { Host: shop.example } }
                  settle: 20s
        notifications:
          owners: { greeters: { webhook: "env:GREETERS_WEBHOOK", email: greeters@example.org } }
          platform: greeters
        """;

    /// <summary>The least that is a file.</summary>
    public const string Least = """
        components:
          - name: app
            paths: ["**"]
        """;
}
