package com.baidu.paddle.lite;

/** Pretended: a model that doubles its input. As the real one, it loads in its constructor, and frees once. */
public class PaddlePredictor {
    private boolean loaded;

    public PaddlePredictor(ConfigBase config) {
        init(config);
    }

    public static PaddlePredictor createPaddlePredictor(ConfigBase config) {
        PaddlePredictor made = new PaddlePredictor(config);
        return made.loaded ? made : null;
    }

    protected boolean init(ConfigBase config) {
        loaded = Recorded.loads;
        if (loaded) Recorded.held++;
        return loaded;
    }

    protected boolean clear() {
        boolean held = loaded;
        if (held) Recorded.held--;
        loaded = false;
        return held;
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
