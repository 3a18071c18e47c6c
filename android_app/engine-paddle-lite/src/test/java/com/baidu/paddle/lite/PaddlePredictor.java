package com.baidu.paddle.lite;

/** Pretended: a model that doubles its input. */
public class PaddlePredictor {
    public static PaddlePredictor createPaddlePredictor(ConfigBase config) {
        return Recorded.loads ? new PaddlePredictor() : null;
    }

    public Tensor getInput(int offset) {
        return new Tensor();
    }

    public Tensor getOutput(int offset) {
        return new Tensor();
    }

    public boolean run() {
        if (Recorded.crash != null) throw Recorded.crash;
        return Recorded.runs;
    }
}
