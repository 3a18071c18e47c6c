package com.baidu.paddle.lite;

/** Pretended: what goes in comes out doubled. */
public class Tensor {
    public boolean resize(long[] dims) {
        Recorded.shape = dims;
        return true;
    }

    public boolean setData(float[] buf) {
        Recorded.input = buf;
        return true;
    }

    public long[] shape() {
        return Recorded.shape;
    }

    public float[] getFloatData() {
        return Recorded.doubled();
    }
}
