package io.jacquard.launch;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.Gson;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.jacquard.launch.Launch.Address;
import io.kubernetes.client.openapi.models.V1Job;
import io.kubernetes.client.openapi.models.V1Service;
import io.kubernetes.client.util.Yaml;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.constructor.SafeConstructor;

/// What `docs/cluster` ships: the schemas of Kubernetes, what we mean by it, and that the ranks read it as meant.
final class ManifestsTest {
    private static final Path FOLDER = Path.of("..", "docs", "cluster");

    private static String text(String file) throws IOException {
        return Files.readString(FOLDER.resolve(file));
    }

    /// Strict twice: the types refuse unknown fields and wrong types, the schema names them.
    private static V1Job job(String yaml) throws IOException {
        V1Job job = (V1Job) Yaml.load(yaml);
        V1Job.validateJsonElement(json(yaml));
        return job;
    }

    private static JsonElement json(String yaml) {
        Object tree = new org.yaml.snakeyaml.Yaml(new SafeConstructor(new LoaderOptions())).load(yaml);
        return JsonParser.parseString(new Gson().toJson(tree));
    }

    @Test
    void indexedJob() throws IOException {
        String[] documents = text("indexed-job.yaml").split("(?m)^---$", -1);
        V1Service service = (V1Service) Yaml.load(documents[0]);
        V1Job job = job(documents[1]);
        assertEquals("None", service.getSpec().getClusterIP());
        assertEquals(
                Map.of("job-name", job.getMetadata().getName()),
                service.getSpec().getSelector());
        String subdomain = job.getSpec().getTemplate().getSpec().getSubdomain();
        assertEquals(service.getMetadata().getName(), subdomain);
        ranks(job, job.getMetadata().getName() + "-0." + subdomain);
    }

    @Test
    void jobSet() throws IOException {
        JsonObject set = json(text("jobset.yaml")).getAsJsonObject();
        assertEquals("jobset.x-k8s.io/v1alpha2", set.get("apiVersion").getAsString());
        assertEquals("JobSet", set.get("kind").getAsString());
        JsonObject spec = set.getAsJsonObject("spec");
        assertEquals(
                List.of("failurePolicy", "network", "replicatedJobs"),
                spec.keySet().stream().sorted().toList());
        JsonObject replicated = spec.getAsJsonArray("replicatedJobs").get(0).getAsJsonObject();
        assertEquals(
                List.of("name", "replicas", "template"),
                replicated.keySet().stream().sorted().toList());
        JsonObject job = new JsonObject();
        job.addProperty("apiVersion", "batch/v1");
        job.addProperty("kind", "Job");
        job.add("spec", replicated.getAsJsonObject("template").get("spec"));
        String name = set.getAsJsonObject("metadata").get("name").getAsString();
        String pod = name + "-" + replicated.get("name").getAsString() + "-0-0." + name;
        ranks(job(new Gson().toJson(job)), pod);
    }

    private static void ranks(V1Job job, String rootHost) {
        var spec = job.getSpec();
        assertEquals("Indexed", spec.getCompletionMode());
        assertEquals(spec.getCompletions(), spec.getParallelism());
        assertEquals(0, spec.getBackoffLimit());
        var pod = spec.getTemplate().getSpec();
        assertEquals("Never", pod.getRestartPolicy());
        Map<String, String> environment = new HashMap<>();
        pod.getContainers().getFirst().getEnv().forEach(e -> environment.put(e.getName(), e.getValue()));
        for (int r = 0; r < spec.getCompletions(); r++) {
            environment.put("JOB_COMPLETION_INDEX", Integer.toString(r));
            Launch launch = Launch.of(environment);
            assertEquals(r, launch.rank());
            assertEquals(spec.getCompletions(), launch.size());
            assertEquals(new Address(rootHost, 29500), launch.root());
        }
        assertTrue(pod.getVolumes().stream()
                .anyMatch(v -> v.getEmptyDir() != null
                        && "Memory".equals(v.getEmptyDir().getMedium())));
    }

    @Test
    void wrongFieldsAndTypesWouldBeFound() throws IOException {
        String yaml = text("indexed-job.yaml").split("(?m)^---$", -1)[1];
        assertDoesNotThrow(() -> job(yaml));
        for (String[] change : new String[][] {
            {"completionMode:", "completionMod:"},
            {"parallelism: 4", "parallelism: four"},
            {"- name: rank", "- nam: rank"}
        }) {
            assertTrue(yaml.contains(change[0]));
            assertThrows(RuntimeException.class, () -> job(yaml.replace(change[0], change[1])), change[1]);
        }
    }

    /// Options of sbatch and srun that we rely on, one place for each.
    @Test
    void sbatchScript() throws IOException {
        String script = text("train.sbatch");
        assertTrue(script.startsWith("#!/bin/bash\n#SBATCH "));
        Matcher steps = Pattern.compile("(?m)^(?:exec )?srun (.*)$").matcher(script);
        int count = 0;
        while (steps.find()) {
            count++;
        }
        assertEquals(2, count);
        assertTrue(script.contains("exec srun -K --mpi=pmix "));
        assertFalse(script.contains("mpirun"));
    }
}
