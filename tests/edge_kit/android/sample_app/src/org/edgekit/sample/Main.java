package org.edgekit.sample;

import android.app.Activity;
import android.os.Bundle;
import org.opencv.core.CvType;
import org.opencv.core.Mat;
import org.opencv.core.Size;
import org.opencv.imgproc.Imgproc;

/** Shows a resource and calls OpenCV, so that packaging has both to keep. */
public class Main extends Activity {
    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        System.loadLibrary("opencv_java4");
        Mat small = new Mat();
        Imgproc.resize(new Mat(4, 4, CvType.CV_8UC3), small, new Size(2, 2));
        setTitle(getString(R.string.app_name) + small.cols());
    }
}
