package com.baidu.paddle.lite;

/** Pretended: keeps what it is told. */
public class MobileConfig extends ConfigBase {
    public void setModelFromFile(String modelFile) {
        Recorded.model = modelFile;
    }

    public void setThreads(int threads) {
        Recorded.threads = threads;
    }

    public void setPowerMode(PowerMode powerMode) {
        Recorded.powerMode = powerMode;
    }
}
