import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import kotlin.Unit;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.opencv.opencv_java;
import org.edgekit.ocr.CaseResult;
import org.edgekit.ocr.Conformance;
import org.edgekit.ocr.LabelsKt;
import org.edgekit.ocr.OcrPipeline;
import org.edgekit.ocr.OcrProfile;
import org.edgekit.ocr.OcrSpec;
import org.edgekit.ocr.VectorSource;
import org.edgekit.ocr.opencv.OpenCvEngine;
import org.opencv.core.CvType;
import org.opencv.core.Mat;
import org.json.JSONArray;
import org.json.JSONObject;

/**
 * Runs the classes of an APK's dex, turned back into class files, on the APK's own assets (the first folder): golden
 * vectors, then the images of the self-test (the second folder: their pixels) through the complete pipeline. Prints one
 * JSON object for each.
 */
public final class AppFromDex {
    public static void main(String[] arguments) throws IOException {
        Loader.load(opencv_java.class);
        Path assets = Path.of(arguments[0]);
        vectors(assets.resolve("golden"));
        images(assets, Path.of(arguments[1]));
    }

    private static void vectors(Path folder) {
        VectorSource source = name -> open(folder.resolve(name));
        Conformance.INSTANCE.run(source, reported -> {
            CaseResult result = (CaseResult) reported;
            System.out.println(new JSONObject().put("vector", result.getName()).put("differs", result.getMessage()));
            return Unit.INSTANCE;
        });
    }

    private static InputStream open(Path path) {
        try {
            return Files.newInputStream(path);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void images(Path assets, Path pixels) throws IOException {
        Path bundle = assets.resolve("bundle");
        OcrProfile profile = OcrSpec.Companion.parse(text(bundle.resolve("ocr_spec.json"))).profile(null);
        List<String> characters = LabelsKt.parseLabels(Files.readAllBytes(bundle.resolve("labels.txt")), profile.getCtc());
        JSONArray expected = new JSONObject(text(assets.resolve("selftest/expected.json"))).getJSONArray("images");
        try (OpenCvEngine det = engine(bundle, "det");
            OpenCvEngine rec = engine(bundle, "rec");
            OcrPipeline pipeline = new OcrPipeline(profile, det, rec, characters, null)) {
            for (int i = 0; i < expected.length(); i++) {
                String name = expected.getJSONObject(i).getString("file");
                Mat image = picture(pixels.resolve(name + ".bgr"));
                JSONObject said = new JSONObject(pipeline.read(image).toJson());
                System.out.println(new JSONObject().put("image", name).put("result", said));
            }
        }
    }

    /** Reads width and height (little-endian integers of 32 bits) and then the pixels, three bytes each. */
    private static Mat picture(Path path) throws IOException {
        ByteBuffer data = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
        int width = data.getInt(), height = data.getInt();
        byte[] pixels = new byte[data.remaining()];
        data.get(pixels);
        Mat image = new Mat(height, width, CvType.CV_8UC3);
        image.put(0, 0, pixels);
        return image;
    }

    private static OpenCvEngine engine(Path bundle, String role) throws IOException {
        return new OpenCvEngine(Files.readAllBytes(bundle.resolve("models/" + role + ".onnx")), role, 1);
    }

    private static String text(Path path) throws IOException {
        return new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
    }
}
