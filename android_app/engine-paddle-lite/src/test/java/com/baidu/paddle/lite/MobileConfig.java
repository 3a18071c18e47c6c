package com.baidu.paddle.lite;

/** A stand-in: keeps what it is given. */
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
