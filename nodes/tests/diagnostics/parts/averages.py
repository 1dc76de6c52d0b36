import numpy as np

def main(rows, digits):
    mean = np.mean([row["amount" for row in rows])
    return {"mean": round(mean, digits)}
